BEGIN;
SELECT plan(2);

SELECT throws_ok(
    $$SELECT llm_store.pack_model('no such hash', 'a')$$, '42704', 'llm: no model has this content',
    'who does not know the hash finds nothing');
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm_store.pack_model('a', 'a')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
