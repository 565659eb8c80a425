-- Deploy hartonomous:function_runtime_run_limits to pg
-- requires: schema_llm_runtime

-- Literals in a superuser's function, not settings: a setting that any user may change would let that user take the machine.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.run_limits(OUT running integer, OUT threads integer)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        NULL::integer AS running, -- as many as there are processors
        NULL::integer AS threads; -- as many as there are processors
END;

REVOKE ALL ON FUNCTION llm_runtime.run_limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.run_limits() TO llm_user;
COMMENT ON FUNCTION llm_runtime.run_limits() IS
'How much of the machine sessions may use. running: how many sessions of the server, in all its databases, compute '
'at once; the others wait and can be cancelled. threads: the most threads of one session, whatever llm.threads says. '
'NULL, written NULL::integer: the number of processors. A superuser may replace the function.';

COMMIT;
