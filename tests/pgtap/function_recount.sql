BEGIN;
SELECT plan(6);

\ir no_models.psql
\ir three_tokens.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty('SELECT * FROM llm_atoms.recount()', 'all is well');
UPDATE llm_store.atom SET h_yz = h_yz + 1 WHERE content_hash = sha256('aqz');
SELECT results_eq(
    'SELECT holder, problem FROM llm_atoms.recount()',
    $$VALUES (sha256('aqz'), 'the atom is not what its content says')$$,
    'a key that is not the place''s is found');
UPDATE llm_store.atom SET h_yz = h_yz - 1 WHERE content_hash = sha256('aqz');
\ir a_model_of_them.psql
SELECT is_empty('SELECT * FROM llm_atoms.recount()', 'with a model too');
UPDATE llm_store.atom_run SET geom = public.st_multi(llm_atoms.atom_point('aqy')) WHERE content = 'aqz';
SELECT results_eq(
    'SELECT holder, problem FROM llm_atoms.recount()',
    $$VALUES (sha256('tokenizer'), 'aqz is missing from the runs, or there twice or at a wrong position')$$,
    'what is searched elsewhere is found');

UPDATE llm_store.atom_run SET geom = public.st_multi(llm_atoms.atom_point('aqz')) WHERE content = 'aqz';
INSERT INTO llm_store.model_code (model_id, type, code_bits)
SELECT
    m.id AS model_id,
    'Q4_1' AS type,
    B'0100000000000000' AS code_bits
FROM llm_store.model AS m;
SELECT results_eq(
    'SELECT holder, problem FROM llm_atoms.recount()',
    $$SELECT m.hash, 'the codes of Q4_1 are not those of the tensors of model aqz' FROM llm_store.model AS m$$,
    'a model that is said to have codes which its tensors have not is found');
DELETE FROM llm_store.model_code;
INSERT INTO llm_store.atom (h_xy, h_yz, h_zm, geom, modality, content_hash, content)
SELECT
    k.h_xy,
    k.h_yz,
    k.h_zm,
    p.place,
    'continuous' AS modality,
    sha256(p.content) AS content_hash,
    p.content
FROM (
    VALUES ('Q4_0\000\001'::bytea, llm_store.atom_code_point('Q4_0\000\002')),
    ('Q4_0\000\377', llm_store.atom_code_point('Q4_0\000\003')),
    ('Q4_1\000\001', llm_store.atom_code_point('Q4_1\000\001'))
) AS p (content, place)
CROSS JOIN LATERAL llm_atoms.hilbert_keys(p.place) AS k
ON CONFLICT DO NOTHING;
SELECT set_eq(
    'SELECT holder, problem FROM llm_atoms.recount()',
    $$SELECT sha256(c), 'the atom is not what its content says'
    FROM unnest(ARRAY['Q4_0\000\001'::bytea, 'Q4_0\000\377']) AS c$$,
    'a weight code in another one''s place is found, and what is no code');

SELECT * FROM finish();
ROLLBACK;
