-- Deploy hartonomous:function_store_forget_packed to pg
-- requires: schema_llm_store, function_runtime_boot, role_llm_loader

-- Another database of the server may share these files: it packs the tensors again when it needs them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.forget_packed(tensors bytea[])
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.forget(tensors)
$python$;

REVOKE ALL ON FUNCTION llm_store.forget_packed(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.forget_packed(bytea[]) TO llm_loader;
COMMENT ON FUNCTION llm_store.forget_packed(bytea[]) IS
'Removes the packed files of tensors that are no longer stored. Returns their bytes. Sessions that use the files can '
'continue. NULL and an empty array remove nothing.';

COMMIT;
