-- Deploy hartonomous:function_version to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.version()
RETURNS text
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.version()
$python$;

REVOKE ALL ON FUNCTION llm.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.version() TO llm_user;
COMMENT ON FUNCTION llm.version() IS
'The release of the modules that this session runs, with the versions of Python and numpy.';

COMMIT;
