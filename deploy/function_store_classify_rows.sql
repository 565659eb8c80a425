-- Deploy hartonomous:function_store_classify_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.classify_rows(text text, labels text[], model text, options jsonb)
RETURNS TABLE (label text, probability double precision)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.choices.classify(text, labels, model, options)
$python$;

REVOKE ALL ON FUNCTION llm_store.classify_rows(text, text[], text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.classify_rows(text, text[], text, jsonb) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_store.classify_rows(text, text[], text, jsonb) IS
'Called by llm.classify and llm.classify_details after they have checked the size of the array.';

COMMIT;
