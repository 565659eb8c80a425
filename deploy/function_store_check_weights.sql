-- Deploy hartonomous:function_store_check_weights to pg
-- requires: table_tensor_tile, function_runtime_boot, role_llm_owner

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.check_weights(tensor_hash bytea, name text, is_new boolean)
RETURNS void
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
llm.ingestion.check_weights(tensor_hash, name, is_new)
$python$;

REVOKE ALL ON FUNCTION llm_store.check_weights(bytea, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.check_weights(bytea, text, boolean) TO llm_owner;
COMMENT ON FUNCTION llm_store.check_weights(bytea, text, boolean) IS
'Raises an error (22023) with the tensor and the row if a new stored tensor contains infinity or NaN, or '
'rope_freqs.weight a number that is not above 0. Types whose codes llm_store.atomise_tensors counts are checked '
'there, because it reads their tiles anyway.';

COMMIT;
