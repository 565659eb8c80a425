BEGIN;
SELECT plan(4);

SELECT function_returns('llm_runtime', 'site_packages', 'text', 'it returns a folder');
SELECT ok(
    llm_runtime.site_packages() = '' OR llm_runtime.site_packages() LIKE '/%',
    'the folder is absolute, or empty for the packages of the system');
SELECT volatility_is('llm_runtime', 'site_packages', 'immutable', 'no setting changes it');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    $$CREATE OR REPLACE FUNCTION llm_runtime.site_packages() RETURNS text LANGUAGE sql IMMUTABLE RETURN '/tmp'$$,
    '42501', NULL, 'llm_owner cannot point it at code of its own');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
