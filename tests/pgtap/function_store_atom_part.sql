BEGIN;
SELECT plan(5);

\ir three_tokens.psql

SELECT is(llm_store.store_atom_part(k.id, 0), 0::bigint, 'none of its tokens begins with a space or a digit')
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is(llm_store.store_atom_part(k.id, 1), 2::bigint, 'two begin with a letter')
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is(llm_store.store_atom_part(k.id, 1), 0::bigint, 'a second time there is nothing to do')
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT results_eq(
    $$SELECT p.part, p.tokens, p.counts[98], p.counts[114] FROM llm_store.atom_part AS p
        INNER JOIN llm_store.tokenizer AS k ON k.id = p.tokenizer_id
        WHERE k.hash = sha256('tokenizer') ORDER BY p.part$$,
    $$VALUES (0, 0::bigint, 0::bigint, 0::bigint), (1, 2, 2, 1)$$,
    'tokens and bytes are counted: a twice, q once');
SELECT results_eq(
    $$SELECT r.part, r.number, r.content, r.starts, r.geom::bytea FROM llm_store.atom_run AS r
        INNER JOIN llm_store.tokenizer AS k ON k.id = r.tokenizer_id WHERE k.hash = sha256('tokenizer')$$,
    $$VALUES (1, 1, 'aqz'::bytea, '{1}'::integer[], public.st_multi(llm_atoms.atom_point('aqz'))::bytea)$$,
    'the token of more than one byte is in a run');

SELECT * FROM finish();
ROLLBACK;
