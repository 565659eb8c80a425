-- Deploy hartonomous:function_new_kv_cache to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.new_kv_cache(model text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.new_kv_cache(model)
$python$;

REVOKE ALL ON FUNCTION llm.new_kv_cache(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.new_kv_cache(text) TO llm_user;
COMMENT ON FUNCTION llm.new_kv_cache(text) IS
E'A handle of an empty KV cache for a model, in memory of this session and for the current role only. llm.forward and '
'llm.attention fill it.\n'
'It lives until llm.free_kv_cache or the end of the session, also after a ROLLBACK.\n'
'A session may have 256 at a time.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
