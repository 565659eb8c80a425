-- Deploy hartonomous:function_store_decoded to pg
-- requires: schema_llm_store, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.decoded(type text, content bytea)
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.decoded(type, content)
$python$;

REVOKE ALL ON FUNCTION llm_store.decoded(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.decoded(text, bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.decoded(text, bytea) IS
'The numbers of whole stored rows of a tensor, as little-endian float32. type: the encoding''s GGUF name.';

COMMIT;
