-- Deploy hartonomous:function_rate to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.rate(text text, criterion text, model text DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.choices.rate(text, criterion, model, options)
$python$;

REVOKE ALL ON FUNCTION llm.rate(text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.rate(text, text, text, jsonb) TO llm_user;
COMMENT ON FUNCTION llm.rate(text, text, text, jsonb) IS
E'How well a text meets a criterion, from 0 (not at all) to 10 (fully): the mean of the whole numbers from 0 to 10, '
'each with the probability that the model answers with it.\n'
'text: NULL gives NULL.\n'
'criterion: in words, such as polite; NULL gives NULL.\n'
'model: a decoder of llm.models; NULL is the default decoder.\n'
'options: a JSON object. on_error: raise, the default, ends the statement when a text cannot be answered, such as '
'one longer than the context; null gives NULL for it.\n'
'Equal calls in a statement are computed once. The prompt is that of llm.prompts.';

COMMIT;
