-- Deploy hartonomous:function_free_kv_cache to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.free_kv_cache(cache bigint)
RETURNS boolean
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.free_kv_cache(cache)
$python$;

REVOKE ALL ON FUNCTION llm.free_kv_cache(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.free_kv_cache(bigint) TO llm_user;
COMMENT ON FUNCTION llm.free_kv_cache(bigint) IS
E'Frees a KV cache of this session. Returns false if the current role has no such cache.\n'
'cache: a handle from llm.new_kv_cache.';

COMMIT;
