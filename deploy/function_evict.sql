-- Deploy hartonomous:function_evict to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.evict(model text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.evict(model)
$python$;

REVOKE ALL ON FUNCTION llm.evict(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.evict(text) TO llm_loader;
COMMENT ON FUNCTION llm.evict(text) IS
E'Removes the packed weights of a model from the disk; NULL: those of all models of all databases of the server. '
'Returns the number of bytes.\n'
'Sessions that use the files can continue, and the space is free when the last of them ends. The next session packs '
'again.';

COMMIT;
