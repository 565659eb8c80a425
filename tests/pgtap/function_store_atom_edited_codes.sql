BEGIN;
SELECT plan(2);

SET LOCAL ROLE llm_loader;
SELECT throws_ok(
    'SELECT llm_store.store_atom_edited_codes('''', '''')', '42501', NULL, 'a loader may not call it unchecked');
RESET ROLE;
SELECT is(
    llm_store.store_atom_edited_codes('', NULL)::text, NULL, 'without a base there is nothing to do');

SELECT * FROM finish();
ROLLBACK;
