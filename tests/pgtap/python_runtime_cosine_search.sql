-- Rendered from plpython/cosine_search.py by tools/render.py.

BEGIN;
SELECT plan(5);

SELECT function_lang_is('llm_runtime', 'cosine_search', ARRAY[]::name[], 'plpython3u', 'it is Python');
SELECT function_returns(
    'llm_runtime', 'cosine_search', ARRAY[]::name[], 'void', 'it is a module: it returns nothing');
SELECT is(
    (
        SELECT encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_runtime.cosine_search()'::regprocedure
    ),
    'a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377',
    'its body is plpython/cosine_search.py, byte for byte');
SELECT ok(
    NOT has_function_privilege('llm_loader', 'llm_runtime.cosine_search()', 'EXECUTE'),
    'a loader may not execute it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE OR REPLACE FUNCTION llm_runtime.cosine_search() RETURNS void LANGUAGE plpython3u AS ''pass''',
    '42501', NULL, 'the owner of the tables may not replace it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
