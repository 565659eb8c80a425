-- Deploy hartonomous:function_store_check_manifest to pg
-- requires: schema_llm_store, function_runtime_boot, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.check_manifest(manifest jsonb)
RETURNS jsonb
LANGUAGE plpython3u
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.check_manifest(manifest)
$python$;

REVOKE ALL ON FUNCTION llm_store.check_manifest(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.check_manifest(jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.check_manifest(jsonb) IS
'Checks what can be checked of a manifest (see llm_store.publish) without tables. Returns its architecture in '
'canonical '
'form and its completed tokenizer_settings.';

COMMIT;
