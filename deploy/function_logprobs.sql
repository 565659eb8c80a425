-- Deploy hartonomous:function_logprobs to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.logprobs(text text, model text DEFAULT NULL)
RETURNS TABLE ("position" integer, token_id integer, token text, logprob double precision, rank integer) -- noqa: RF06
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.scoring.logprobs(text, model)
$python$;

REVOKE ALL ON FUNCTION llm.logprobs(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.logprobs(text, text) TO llm_user;
COMMENT ON FUNCTION llm.logprobs(text, text) IS
E'How likely a model finds each token of a text, given those before it: position (from 0), token_id, token (its text, '
'U+FFFD for half a character), logprob (the natural logarithm of its probability at temperature 1) and rank (1: the '
'most likely token; of equal ones the lower id is first).\n'
'The first token has a logprob and a rank only where the model puts a token before a text; otherwise they are NULL. '
'Tokens that the model puts around a text have no row.\n'
'text: NULL or an empty text gives no rows; a text longer than the context is an error.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
