-- Deploy hartonomous:function_next_tokens to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.next_tokens(
    prompt text,
    k integer DEFAULT 10,
    model text DEFAULT NULL
)
RETURNS TABLE (rank integer, token_id integer, token text, logit double precision, logprob double precision)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.scoring.next_tokens(prompt, k, model)
$python$;

REVOKE ALL ON FUNCTION llm.next_tokens(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.next_tokens(text, integer, text) TO llm_user;
COMMENT ON FUNCTION llm.next_tokens(text, integer, text) IS
E'The k most likely tokens after a prompt: rank (from 1), token_id, token (its text, U+FFFD for half a character), '
'logit, and logprob (the natural logarithm of the probability at temperature 1).\n'
'Equal logits rank by id.\n'
'prompt: NULL gives no rows. An empty prompt is the tokens that the model puts before a text.\n'
'k: from 1 to the size of the vocabulary.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
