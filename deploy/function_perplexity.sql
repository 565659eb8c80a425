-- Deploy hartonomous:function_perplexity to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.perplexity(text text, model text DEFAULT NULL)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.scoring.perplexity(text, model)
$python$;

REVOKE ALL ON FUNCTION llm.perplexity(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.perplexity(text, text) TO llm_user;
COMMENT ON FUNCTION llm.perplexity(text, text) IS
E'How unlikely a model finds a text: exp(-avg(logprob)) of llm.logprobs(text, model). 1 is the least. A model that '
'finds all tokens equally likely has the size of its vocabulary. Compare only models with the same tokenizer.\n'
'text: NULL gives NULL, and so does a text without a token that has a log-probability; a text longer than the context '
'is an error.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
