-- Deploy hartonomous:function_runtime_settings to pg
-- requires: schema_llm_runtime, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.settings()
RETURNS TABLE (name text, value text, unit text, "default" text, meaning text) -- noqa: RF06
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.settings()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.settings() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.settings() IS
'The rows of the view llm.settings.';

COMMIT;
