-- Deploy hartonomous:function_store_answer_texts to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.answer_texts(task text, texts text[], question text)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.summaries.of_texts(task, texts, question)
$python$;

REVOKE ALL ON FUNCTION llm_store.answer_texts(text, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.answer_texts(text, text[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_store.answer_texts(text, text[], text) IS
'Called by llm.summarize_agg and llm.ask_agg after they have checked the size of the array.';

COMMIT;
