BEGIN;
SELECT plan(5);

\ir three_tokens.psql

SELECT is(llm_store.store_atom_tokens(k.id), 2::bigint, 'a token without bytes is no atom')
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is(llm_store.store_atom_tokens(k.id), 0::bigint, 'a second time there is nothing to do')
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is(
    (
        SELECT c.counts[98] || ' ' || c.counts[114] || ' ' || c.counts[1]
        FROM llm_store.atom_byte_count AS c
        INNER JOIN llm_store.tokenizer AS k ON c.tokenizer_id = k.id
        WHERE k.hash = sha256('tokenizer')
    ),
    '2 1 0', 'its bytes are counted: a twice, q once, NUL never');
SELECT results_eq(
    $$SELECT modality, content FROM llm_store.atom
        WHERE content_hash IN (sha256('a'), sha256('q'), sha256('aqz')) ORDER BY content$$,
    $$VALUES ('discrete', 'a'::bytea), ('compositional', 'aqz'), ('discrete', 'q')$$,
    'its bytes and tokens are atoms, those of one byte once');
SELECT is_empty(
    $$SELECT FROM llm_store.atom AS a, llm_atoms.hilbert_keys(a.geom) AS k
        WHERE a.content_hash IN (sha256('a'), sha256('q'), sha256('aqz'))
            AND (a.geom::bytea <> llm_atoms.atom_point(a.content)::bytea
                OR (a.h_xy, a.h_yz, a.h_zm) IS DISTINCT FROM (k.h_xy, k.h_yz, k.h_zm))$$,
    'where the functions for single values put them');

SELECT * FROM finish();
ROLLBACK;
