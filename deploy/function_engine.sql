-- Deploy hartonomous:function_engine to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.engine()
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.engine()
$python$;

REVOKE ALL ON FUNCTION llm.engine() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.engine() TO llm_user;
COMMENT ON FUNCTION llm.engine() IS
'Which engine computes in this session. The setting llm.engine chooses it: auto (the default: compiled if '
'llm.warm_up() has compiled it, else numpy), compiled, or numpy.';

COMMIT;
