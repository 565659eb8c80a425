-- Deploy hartonomous:function_reset to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.reset()
RETURNS void
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.reset()
$python$;

REVOKE ALL ON FUNCTION llm.reset() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.reset() TO llm_user;
COMMENT ON FUNCTION llm.reset() IS
E'Frees everything that this session holds: weights, kept KV caches of earlier prompts, KV caches with handles, '
'embeddings of searched tables, and figures of the last call.\n'
'The next call loads again.\n'
'Use it before a connection pool hands a session to another client.';

COMMIT;
