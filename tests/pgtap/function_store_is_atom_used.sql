BEGIN;
SELECT plan(6);

\ir three_tokens.psql
\ir one_tensor.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}');
CREATE FUNCTION pg_temp.used() RETURNS text LANGUAGE sql RETURN (
    SELECT string_agg(a.modality, ' ' ORDER BY a.content DESC)
    FROM (VALUES ('compositional', 'aqz'::bytea), ('continuous', 'Q8_0\000\037')) AS a (modality, content)
    WHERE llm_store.is_atom_used(a.modality, a.content));

DELETE FROM llm_store.model_tensor;
DELETE FROM llm_store.model;
SELECT is(pg_temp.used(), NULL, 'what no model has is not used');
SELECT is_empty($$SELECT FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('aqz'), 10)$$, 'and not found');
\ir a_model_of_them.psql
SELECT is(pg_temp.used(), 'compositional continuous', 'what a model has is used');
SELECT ok(llm_store.is_atom_used('discrete', 'q'), 'so is a byte of its tokens');
SELECT ok(NOT llm_store.is_atom_used('discrete', 'x'), 'and no other byte');
SELECT ok(NOT llm_store.is_atom_used('continuous', 'Q8_0\000\040'), 'nor a code beyond the tensor''s last');

SELECT * FROM finish();
ROLLBACK;
