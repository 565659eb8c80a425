-- Deploy hartonomous:function_summarize to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.summarize(text text, model text DEFAULT NULL, max_tokens integer DEFAULT NULL)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.summaries.summarize(text, model, max_tokens)
$python$;

REVOKE ALL ON FUNCTION llm.summarize(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.summarize(text, text, integer) TO llm_user;
COMMENT ON FUNCTION llm.summarize(text, text, integer) IS
E'A summary of a text. A text longer than the context is summarized in parts, and then the summaries are.\n'
'text: NULL gives NULL.\n'
'model: a decoder of llm.models; NULL is the default decoder.\n'
'max_tokens: the most tokens of a summary; NULL is 128, or an eighth of the context if that is less.\n'
'The prompt is that of llm.prompts; the model writes its most likely tokens.';

COMMIT;
