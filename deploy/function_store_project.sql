-- Deploy hartonomous:function_store_project to pg
-- requires: table_token_position, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.project(tensor_hash bytea)
RETURNS void
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.token_map.store(tensor_hash)
$python$;

REVOKE ALL ON FUNCTION llm_store.project(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.project(bytea) TO llm_owner;
COMMENT ON FUNCTION llm_store.project(bytea) IS
'Computes the map of a stored matrix from its tiles and stores it, if there is none yet.';

COMMIT;
