BEGIN;
SELECT plan(2);

SELECT is(
    llm_store.atom_code_hash('Q8_0', 253), sha256('Q8_0\000\375'::bytea), 'a code of eight bits is one byte');
SELECT is(
    llm_store.atom_code_hash('F16', 15361), sha256('F16\000\001\074'::bytea), 'one of sixteen is two, little-endian');

SELECT * FROM finish();
ROLLBACK;
