-- Deploy hartonomous:function_generation_stats to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generation_stats(
    OUT prefilled bigint,
    OUT reused bigint,
    OUT generated bigint,
    OUT guessed bigint,
    OUT accepted bigint,
    OUT milliseconds double precision
)
RETURNS record
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.stats()
$python$;

REVOKE ALL ON FUNCTION llm.generation_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generation_stats() TO llm_user;
COMMENT ON FUNCTION llm.generation_stats() IS
E'Figures of this session''s last call of llm.generate, llm.generate_details, llm.generate_many, llm.generate_query '
'or llm.generate_into, in tokens: prefilled (of prompts, computed), reused (of prompts, from an earlier prompt or '
'row), generated (without the end-of-sequence token), guessed and accepted (by prompt lookup and a draft together, '
'options => {guess, draft}).\n'
'milliseconds: of the call, without the time that the client took between rows.\n'
'All are NULL before the first call.';

COMMIT;
