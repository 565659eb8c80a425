BEGIN;
SELECT plan(2);

\ir one_tensor.psql

SELECT is(
    llm_store.atom_center(ARRAY[sha256('tensor')])::bytea,
    (SELECT llm_atoms.atom_point(t.content)::bytea FROM llm_store.tile AS t
    WHERE substring(t.content FROM 1 FOR 6) = '\x003c00010203'::bytea),
    'a tensor of one tile lies where the tile does');
SELECT is(llm_store.atom_center('{}'), NULL, 'no tensors lie nowhere');

SELECT * FROM finish();
ROLLBACK;
