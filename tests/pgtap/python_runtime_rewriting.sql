-- Rendered from plpython/rewriting.py by tools/render.py.

BEGIN;
SELECT plan(5);

SELECT function_lang_is('llm_runtime', 'rewriting', ARRAY[]::name[], 'plpython3u', 'it is Python');
SELECT function_returns(
    'llm_runtime', 'rewriting', ARRAY[]::name[], 'void', 'it is a module: it returns nothing');
SELECT is(
    (
        SELECT encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_runtime.rewriting()'::regprocedure
    ),
    'd3297d091d69768fb2f3faeab1b27b56a2c674797647a1d012e156e5bdc96aca',
    'its body is plpython/rewriting.py, byte for byte');
SELECT ok(
    NOT has_function_privilege('llm_loader', 'llm_runtime.rewriting()', 'EXECUTE'),
    'a loader may not execute it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE OR REPLACE FUNCTION llm_runtime.rewriting() RETURNS void LANGUAGE plpython3u AS ''pass''',
    '42501', NULL, 'the owner of the tables may not replace it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
