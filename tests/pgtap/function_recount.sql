BEGIN;
SELECT plan(2);

\ir three_tokens.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty('SELECT * FROM llm.recount()', 'all is well');
UPDATE llm_store.atom SET h_yz = h_yz + 1 WHERE content_hash = sha256('aqz');
SELECT results_eq(
    'SELECT holder, problem FROM llm.recount()',
    $$VALUES (sha256('aqz'), 'the atom is not what its content says')$$,
    'a key that is not the place''s is found');

SELECT * FROM finish();
ROLLBACK;
