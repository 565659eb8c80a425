-- Rendered from plpython/blending.py by tools/render.py.

BEGIN;
SELECT plan(5);

SELECT function_lang_is('llm_runtime', 'blending', ARRAY[]::name[], 'plpython3u', 'it is Python');
SELECT function_returns(
    'llm_runtime', 'blending', ARRAY[]::name[], 'void', 'it is a module: it returns nothing');
SELECT is(
    (
        SELECT encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_runtime.blending()'::regprocedure
    ),
    '4388171c6e2f3b42142e7df26fa6f5e65ae929bfab48f6548e3aa5adca284201',
    'its body is plpython/blending.py, byte for byte');
SELECT ok(
    NOT has_function_privilege('llm_loader', 'llm_runtime.blending()', 'EXECUTE'),
    'a loader may not execute it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE OR REPLACE FUNCTION llm_runtime.blending() RETURNS void LANGUAGE plpython3u AS ''pass''',
    '42501', NULL, 'the owner of the tables may not replace it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
