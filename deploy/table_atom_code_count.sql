-- Deploy hartonomous:table_atom_code_count to pg
-- requires: table_tensor

-- code_bits repeats codes, for searches: 8 kB instead of 262 for 16-bit codes, and bit_or combines the codes of a model.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.atom_code_count (
    tensor_hash bytea NOT NULL,
    codes integer[] NOT NULL,
    counts bigint[] NOT NULL,
    code_bits bit varying NOT NULL,
    CONSTRAINT atom_code_count_pkey PRIMARY KEY (tensor_hash),
    CONSTRAINT atom_code_count_tensor_fkey FOREIGN KEY (tensor_hash)
    REFERENCES llm_store.tensor (hash) ON DELETE CASCADE,
    CONSTRAINT atom_code_count_pairs CHECK (cardinality(codes) = cardinality(counts)),
    CONSTRAINT atom_code_count_bits CHECK (cardinality(codes) = bit_count(code_bits))
);

ALTER TABLE llm_store.atom_code_count ALTER COLUMN code_bits SET STORAGE EXTERNAL;

ALTER TABLE llm_store.atom_code_count OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom_code_count TO llm_user;

COMMENT ON TABLE llm_store.atom_code_count IS
'How often each weight code occurs in a tensor. Immutable like the tensor. Reference counts are sums of these rows, '
'so no load updates a row that others share. Tensors of types whose codes are not atoms have no row.';
COMMENT ON COLUMN llm_store.atom_code_count.tensor_hash IS 'The tensor.';
COMMENT ON COLUMN llm_store.atom_code_count.codes IS 'The codes that occur, ascending, as unsigned integers.';
COMMENT ON COLUMN llm_store.atom_code_count.counts IS 'Their occurrences, in the same order.';
COMMENT ON COLUMN llm_store.atom_code_count.code_bits IS
'A bit for each code of the encoding, from code 0: whether it occurs.';

COMMIT;
