-- Deploy hartonomous:function_store_classify_query_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.classify_query_rows(
    query text,
    labels text[],
    model text,
    options jsonb
)
RETURNS TABLE (id text, label text, probability double precision, error text, failure text)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.choices.classify_query(query, labels, model, options)
$python$;

REVOKE ALL ON FUNCTION llm_store.classify_query_rows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.classify_query_rows TO llm_user;
COMMENT ON FUNCTION llm_store.classify_query_rows IS
'Computes the rows of llm.classify_query one by one. If an error ends them, the last row has it in the column '
'failure, for llm_store.raise_late.';

COMMIT;
