-- Rendered from plpython/simd_memory.py by tools/render.py.

BEGIN;
SELECT plan(5);

SELECT function_lang_is('llm_runtime', 'simd_memory', ARRAY[]::name[], 'plpython3u', 'it is Python');
SELECT function_returns(
    'llm_runtime', 'simd_memory', ARRAY[]::name[], 'void', 'it is a module: it returns nothing');
SELECT is(
    (
        SELECT encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_runtime.simd_memory()'::regprocedure
    ),
    '7b1394513b7d3a5e90aec3f11429c7a83303d8b9e04616f69770edb8faa80c32',
    'its body is plpython/simd_memory.py, byte for byte');
SELECT ok(
    NOT has_function_privilege('llm_loader', 'llm_runtime.simd_memory()', 'EXECUTE'),
    'a loader may not execute it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE OR REPLACE FUNCTION llm_runtime.simd_memory() RETURNS void LANGUAGE plpython3u AS ''pass''',
    '42501', NULL, 'the owner of the tables may not replace it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
