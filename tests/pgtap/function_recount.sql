BEGIN;
SELECT plan(4);

\ir no_models.psql
\ir three_tokens.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty('SELECT * FROM llm.recount()', 'all is well');
UPDATE llm_store.atom SET h_yz = h_yz + 1 WHERE content_hash = sha256('aqz');
SELECT results_eq(
    'SELECT holder, problem FROM llm.recount()',
    $$VALUES (sha256('aqz'), 'the atom is not what its content says')$$,
    'a key that is not the place''s is found');
UPDATE llm_store.atom SET h_yz = h_yz - 1 WHERE content_hash = sha256('aqz');
\ir a_model_of_them.psql
SELECT is_empty('SELECT * FROM llm.recount()', 'with a model too');
UPDATE llm_store.atom_run SET geom = public.st_multi(llm.atom_point('aqy')) WHERE content = 'aqz';
SELECT results_eq(
    'SELECT holder, problem FROM llm.recount()',
    $$VALUES (sha256('tokenizer'), 'aqz is not in its runs, once and in its place')$$,
    'what is searched elsewhere is found');

SELECT * FROM finish();
ROLLBACK;
