-- Deploy hartonomous:function_store_pack_model to pg
-- requires: schema_llm_store, function_runtime_boot, table_model_tensor

-- SECURITY DEFINER: it reads weights that its caller may not read, and returns none of them. So a role may use a model that it
-- cannot copy. The caller names the model by its hash, which only roles that can see the model know.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.pack_model(hash bytea, name text)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.pack_model(hash, name)
$python$;

REVOKE ALL ON FUNCTION llm_store.pack_model(bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.pack_model(bytea, text) TO llm_user;
COMMENT ON FUNCTION llm_store.pack_model(bytea, text) IS
'Packs the weights of the model with this hash, if they are not packed yet, and returns their bytes. Used by '
'llm.pack and by the first use of a model. The name is for messages.';

COMMIT;
