-- Rendered from plpython/matrices.py by tools/render.py.

BEGIN;
SELECT plan(5);

SELECT function_lang_is('llm_runtime', 'matrices', ARRAY[]::name[], 'plpython3u', 'it is Python');
SELECT function_returns(
    'llm_runtime', 'matrices', ARRAY[]::name[], 'void', 'it is a module: it returns nothing');
SELECT is(
    (
        SELECT encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_runtime.matrices()'::regprocedure
    ),
    'cfe7b90c4a6e14e9863c7b04365ea3756115aae378c88a72d2c4a6c48e3d0e3a',
    'its body is plpython/matrices.py, byte for byte');
SELECT ok(
    NOT has_function_privilege('llm_loader', 'llm_runtime.matrices()', 'EXECUTE'),
    'a loader may not execute it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE OR REPLACE FUNCTION llm_runtime.matrices() RETURNS void LANGUAGE plpython3u AS ''pass''',
    '42501', NULL, 'the owner of the tables may not replace it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
