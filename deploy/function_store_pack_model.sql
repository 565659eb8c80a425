-- Deploy hartonomous:function_store_pack_model to pg
-- requires: schema_llm_store, function_runtime_boot, table_model_tensor

-- SECURITY DEFINER: it reads weights that its caller may not read, and gives none away; so a role may use a model that
-- it cannot copy. The caller names the model by its hash: only who may see the model knows it.
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
'Packs the weights of the model with this hash, unless they are packed, and returns their bytes: what llm.pack and the '
'first use of a model do. The name is for messages.';

COMMIT;
