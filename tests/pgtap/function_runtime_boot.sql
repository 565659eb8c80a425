BEGIN;
SELECT plan(6);

SELECT is(llm_runtime.boot(), llm_runtime.release(), 'it returns the release that is deployed');
SELECT is(llm_runtime.boot(), llm_runtime.release(), 'twice is as good as once');
SELECT is(
    (pg_stat_file('base/pgsql_tmp_llm/llm_' || left(llm_runtime.release(), 16))).isdir, TRUE,
    'the modules are in a folder that carries the release');
SELECT is(
    convert_from(pg_read_binary_file(
        'base/pgsql_tmp_llm/llm_' || left(llm_runtime.release(), 16) || '/server/errors.py'), 'UTF8'),
    (SELECT prosrc FROM pg_catalog.pg_proc WHERE oid = 'llm_runtime.server__errors()'::regprocedure),
    'a file there is the body of its function');
SET LOCAL ROLE llm_user;
SELECT is(llm_runtime.boot(), llm_runtime.release(), 'llm_user may boot');
RESET ROLE;
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.boot()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
