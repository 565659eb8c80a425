-- Verify hartonomous:function_runtime_release on pg

BEGIN;

-- The one place that has the digest of each module: a module that differs is named.
DO $verify$
DECLARE
    digests text;
    wrong text;
BEGIN
    WITH
    expected (module, digest) AS (
        VALUES
        ('atoms__atom_rows', '98549edb5e2dce794ad21ae31f60f19c340cf1577699788df7e859fba9e7bcd4'),
        ('atoms__atom_runs', '65c15bf403b194e6800826600c704e7073d34d33754b2066032d28d37b1febb6'),
        ('atoms__atoms', '3370a2fd7f0ec5c19ea3a056e54011f33ed913a635c8b319ac20b6f1e7471e1c'),
        ('atoms__geometry', '90f353fbe778013a4fc053feaf10d96edff3fc888673b46bfad6ebb11952aabf'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'f5baba74a3896208e0a4857fb92261e63b92fa1c32a439be7dbaca119cafeb31'),
        ('atoms__projection', '17b804a0234736ebfeb962d8ed543df2b9b31ed1fc80619a6005d0481838b03c'),
        ('atoms__sql_literals', '7d23ba797b1a1a32793d2a7a2d03c36efe16887fc4cb3984439315c6ef2e1e59'),
        ('atoms__token_map', '3bee7a6a44146f57273e23f0ca60bd97584d47be736934e7cf533bdaa18c816f'),
        ('engine__calibration', '51e7143c9216b154d0c043d982c48009b83c440015eea81b4b134f0b16dcefc2'),
        ('engine__composed', '83cb0dd692461ffa49c2fb7fa312add2c1586968dd7eeda5f66cb7d7be86d989'),
        ('engine__decoder', '52f8684525834c56ae81d5bf7cd3d0bca89a09349a4095bfe7be3b09161795cd'),
        ('engine__decoder_pass', '58a735fe0d0281bcdec0c79639eab06c659b691584f59dfb98547698efe1f4c4'),
        ('engine__encoder', 'd49b61683bca9c9ff8a6d53631b62f42610e7327da0b73afcf18ed25f0cdd8e7'),
        ('engine__encoder_pass', 'b00b7bfcc937cb78b6a016519016d811f2f525f4d36e3d0c9d87a9425602e09b'),
        ('engine__kv_cache', '18dc5dd784717e5069a7b483aa87e65b0f7b36db74ec116f0632bf55ff38cde4'),
        ('engine__operator_entries', 'caa4737957a847ad0ab415bb17134f922477649f1c5014710c6cb5752740df03'),
        ('engine__steps', 'f05c8975509b7db955493111689c5bd75c1d2b278d01196d197aba84778939e4'),
        ('engine__warm_up', 'e517f83ec5b418438fe626e263d255b423fef4868e5278b940e530f7eac35e5a'),
        ('generate__candidates', '332175effdaa75078e509f4cdea066c3559dd5e8c179ed84e08abdf5fc5e540d'),
        ('generate__draft_model', '94be5f861bd6cdebe5bade551605aa3f83ff31cd39f4ebdca03229a8beda8594'),
        ('generate__interfaces', '2d2331b4aeb098191dd016b50ce253333c5c926d4fe0180eeb8a8f5a561fc1cf'),
        ('generate__prefix_cache', '6fa668416a384c40fb88cc1542403fc179d99ba451b85c93bc7fc5a6786fa2d3'),
        ('generate__prompt_lookup', '3fca1cc317b6dc27a599ff2ef288f7351c19965d950910a7131d41d552ddf61d'),
        ('generate__sampling', 'd73ab724d90dccdd508c0d89547746da0c5fbb80b09c0260c4943db690e0cf57'),
        ('generate__scheduler', 'e98777459467de2f050e524604e2fadc8b6fcb5c40b00fa923b141589fa77814'),
        ('generate__speculation', 'd1f7dd58d6ec31eafb7161d2a665c02284cca26a9a45082d34df2f483a495b52'),
        ('kernels__attention', 'b13aef5ecb90a1ee3c73528a3e7a42f09091603cb96c0180b14e3c4d032f7faf'),
        ('kernels__blocks', '16144ae3ff1cd934f86f93f7a2301579e3b8a541f045f67a4fee98aa593ea2d7'),
        ('kernels__candidates', 'ed6f3204bc32f08640f1c9bd3a839030faa3c130b4a7aacad8772461e2b7d02e'),
        ('kernels__cosine', 'e2c7012f87a109e252c6aea1a438ca9d91e84a672e57191253fd2316e1ebdebd'),
        ('kernels__dispatch', 'd722ba935b28ea448700637ed8ca396071942d040bc6ceb1befdb3eff25ebce7'),
        ('kernels__elementwise', '4c6e4400f2494573302ab4ff5dd5ad2e7c8e89aae6f369b6e82dae9c6f897c54'),
        ('kernels__floats', '96e3661b2b2163aa9f0ba61471c8f4c5ab8d3b67231203f860bf759026703be3'),
        ('kernels__grids', '55457ec9bc5063a31f7c0a050a06b4c069de74cfad0bc7273d456ac1beefc98f'),
        ('kernels__groups', 'a378c55a4970f7e40f07d5865f93b41d3ef9d397a3aec1ddf16a34b250119607'),
        ('kernels__kv_pages', 'afa157b28a7a8cf576380fdf9f63c976b190431da787de5a1d315cf68f05305c'),
        ('kernels__layouts__bf16', '1248441cf14ec3525666777395250950d23c79bcd6326e18c87f9e69e510701c'),
        ('kernels__layouts__f16', 'b3c3c76bb070ce279c3674eefcbc5281359094f56e0e776c4b12089ef73a7994'),
        ('kernels__layouts__f32', 'f95f50181c3ddc011df8909120ac91cda1c1fa5fc2c6f2a52fbb91a7b589ae93'),
        ('kernels__layouts__iq1', 'ce9255efbfa0ad98b21557cad3f9c17a6f7fdd41ebe1ac9fed862b21ef44f517'),
        ('kernels__layouts__iq2', '2e9242a4fe9b78e3c387531331e05580aa0ea4427a91efb9dc6ffa6727918928'),
        ('kernels__layouts__iq3s', 'bcbf0bbef6443c1da55253d1221f7d00edfbfe90b953ffa0d5ec31958040f44d'),
        ('kernels__layouts__iq3xxs', '5441b2e9903de4e7125964630af937b2dff8fc839a027a60a62663421af5ca16'),
        ('kernels__layouts__iq4', 'ff954c81154129dc119a72c44a360ca6992452b353ad5b5f722b563201c9a2a9'),
        ('kernels__layouts__iq4xs', 'd3661d661d824a774a425b81b8780f0c2c41182a4b1ff7537e9c41e6802b190f'),
        ('kernels__layouts__mxfp4', '2ac4bcca51e7a1c119dad78b61aacca30546a9d2f5d16c7aedf76170da6bf53f'),
        ('kernels__layouts__q2k', '3927133dc71d7227f22839cc5666726b63dfc0459704a89cdc7b89abbfe08f38'),
        ('kernels__layouts__q3k', 'bbb2a1f6f0cfa3369b7e06234fc91785430c15aa50326b335719fa6b2c59f495'),
        ('kernels__layouts__q4', '7009ec246ada584a51a2c46622f2807d475b4b4697670d78b700db6ad3cfef14'),
        ('kernels__layouts__q4_1', 'c7a44e992856de2d6418523224b66b0feae3ad02539f96ead0846d26aa855ce9'),
        ('kernels__layouts__q4k', '3cc3543ecb7e7391a93e0d382351947a47ac78103d18432f9235d5ea2cf73fac'),
        ('kernels__layouts__q5', '91a86afd783ebfaa45b6b05c8fcf2fe09e1fe0c182923100e54e2f0243f2140c'),
        ('kernels__layouts__q5_1', '3ba72311c7a4b5421e76b933d176a75642fe7dbbd98eb85498d2d6af44552616'),
        ('kernels__layouts__q5k', '20a41fb98123bc8b863f46120dc7d4354b2bab4e0d06d8acc9d2bc9e47cbe32c'),
        ('kernels__layouts__q6k', '5c7567b0884506d279cc8c1b0e984bf4fa05404ce508fb310e931c48edd932d2'),
        ('kernels__layouts__q8', 'ad9f6105a77db717158cf4887af10b39026ead9ceae1eec19d7a46cecc698687'),
        ('kernels__matrix', '263825beeb13a8419ccfb51713c42d792cb33a11418b36d1906e55b80236f51d'),
        ('kernels__packers', '76a621b803c4d4dfd7180ed1eeacc4ef2cdefc10439525001ad1575fca4b32fb'),
        ('kernels__packing', '7f92ea14296f79ee4776e7ac9ffd73c61cc3df08f5a98f7b9a9ba8c5211f0b15'),
        ('kernels__panels', 'de8a09d2180b61e87e85a30f4f54ae2d930a79e94281138c105fa55268eb9b86'),
        ('kernels__prefetching', 'f9e0fca1f068ce8d235da71910a225ca71f6aaa00f2c0a49f0cbdd4956e903f2'),
        ('kernels__products', '7586278b61e50405eebc8297589e9328892d283f4ef85ce676005b09624010bd'),
        ('kernels__similarity', 'ba8c786505921faf5fc36722747450f01703a37c7867b1cbb188da29b7d6e370'),
        ('kernels__starts', '434753564a2c7cd3616fc7abb75169504227e8fec7b7423e28d85b6470bd5ad9'),
        ('kernels__superblocks', '411b3b692e5c17b2fd59c645f578ca275df878d8cd152afd6b393b64ba44eae4'),
        ('model__decoder', '9e548ed22a62c3a7a33d24c6ef7a955f91e9b0cd5e395611c09239f9351eb64f'),
        ('model__encoder', '0d4893bf14b5f897785c6f0fe3f0f13070ab7eb6545561c36245ada98d3c5727'),
        ('model__encodings', '019856c29b05579306911e06769bc51c8551808e260cab80ada0714f3dda3e38'),
        ('model__finite', '21c2f66e792048727c48d17fad59776983ae4aa8ba01522bf167735c6c2c966d'),
        ('model__long_texts', '7598f7b5b399070c183634f151829f96de9a8a396abc42a3f9263156a06ef6f3'),
        ('model__mixes', '2a8ecb230ae5f7317c0229e8d111db81619fef79b206686f60b4c92c4640eb6e'),
        ('model__quantizers', '416c8122a106d16721042755c798009622aa758bc7abbb21e5bbe5fe5f4765e8'),
        ('model__rope_rows', 'a7c9c3ae22e4a05cb690e941827fe823d2c4998650ed49d56b2bc0bd263984a9'),
        ('model__scale_search', 'b335e8f2825d6b6ce8623c732de731220e532e900302fde9efe03aca4efa64a5'),
        ('model__tokenizer', 'f8270aebe3a4071f069218c95cb2f9a66d8602bab018b13236f3be399dac2efd'),
        ('reference__composed', '26af57c0aa568411b3baadb5a1ec238e59737eff5a8cbbded5c11bade878707a'),
        ('reference__decoder', 'f449e4d83e62d48c251248ee7ccadbf0bb51d200a35fae3fea7308950b65ca50'),
        ('reference__encoder', '49bd2db2589754b69baa37da1b6cc6e30b1c2a4a35e794e0fce07e2c6828089a'),
        ('reference__operators', '55fa782ceb66ef6d209e99f936cd4e0170f517484f04daaac8cba7d370cca9b1'),
        ('server__arguments', '469d1fa238427a706431006aca84bf621605bbd258718350d5f7060e1596f72c'),
        ('server__background', '25d28e4377879945de36b50ba6513ade652629dbb2a96830728f56942225598b'),
        ('server__ceilings', 'eea229e8f34b0eeea76697a0c7b4b0a995f2ab1aafe25c7ea2dd7b0046b91580'),
        ('server__connection', '5f963f3b783bb97dcf69566f0de2b7339bcab8d1dc3e746468ad32ddeab28b68'),
        ('server__database', 'e43d87405f82db0bf2d51aa678c104c044fa6223e2628f4a33082bd913056309'),
        ('server__errors', '72c6033176f21814481d2289095327cf265fa61ce0acaca627001aaa082048e9'),
        ('server__interrupts', '3450860b980b6f63c364290784a1724b4c4f7921e016a7e508084e89a632eedf'),
        ('server__messages', '031c6f404d24fd236f449e4113854dbf2182765ade09b88b544db643f7f0925f'),
        ('server__module_files', 'c02df2b96f01f1e4d133d467eecdd30bdb4090fd7e49082c01070394b051ffe5'),
        ('server__server_variables', 'c2559e7464841ef3fcd74a32eee22147c712e547986ee7638dd3348d45dce474'),
        ('server__settings', '16219a6952e941935e6fd55bb0efc65280e3ce4f06de82d439b9db129345ab54'),
        ('server__spi', 'ce4a9e0ca0328cbb3f1ba9497e20b7c9bbb49e2b8ffae47ede833a2626afbe2f'),
        ('server__sql_errors', '98d0fe06d6621c8ea4e9d565cde46e1c094bd7e63627149cf55a6fac9b3f530d'),
        ('server__statement_clock', 'a3a6676a32548544f4d01ff49197c81a138746ffcf9c2e25fb22191f296f6e77'),
        ('server__streams', '5736083f523373616f0c6db8e51537df75ce399788199067d41e95a81e3d8383'),
        ('session__admission', 'f2730074796cf3ce26423b1d551804e51f37bc236ccd001df9f378fdbd02d9d4'),
        ('session__drafts', 'b000be9694e5757964953f8c1f7e2409bc92eb92a6c70c2364314caba9304358'),
        ('session__engines', '9c171b76ff04c016f6fe6b4ad2419a547e610144732be65cc43e01f554f8f890'),
        ('session__kv_handles', '2d92dd8f050078d81a5601baaa7b2a09991b62ae58a4f46797da81b88812192e'),
        ('session__model', '22e73686bc404174e853fac741c834d4403c1e8f36ae90fb82b27083d9da9777'),
        ('session__models', 'fec3aeccf3d6dfdd6675c15b4d383306e164acd749d6c96a85f8107831805f22'),
        ('session__prefixes', '55fec3ba14fc3754d0d4a1d9786d9735cc88d02dd20398dd0ac33acedc62e402'),
        ('session__search_matrices', 'd3c6d1bc71a1834bed0ab0a60748941d35e2bb6a03e40dc4544995f7ec9a72ce'),
        ('simd__frames', '52c89388de5d40fcd1d5614efe5b71555be3739fa177d3f1bb009c67541b8b32'),
        ('simd__kernels', '3d0f12781d2b996acce124bbfc09d1813c5a36a0088221b38ff4b4b6928ccae4'),
        ('simd__memory', '421d463a77029c2512256384b9ab66583b6767727963cb43630825dba79ffec8'),
        ('simd__processors', '43f33952d85f8cf957ef1517db53e9f893f168e456e1ba9d5ad2104f9290ba37'),
        ('simd__registers', '211e2464d56fee2bad2946176364fa0eee8d27ba780d237bcdd0fa6d1d9d48c9'),
        ('simd__threads', 'e2cbbfb7e1fb510b73c569a0351105e18f54e305bcfc97a643fba0fa67dcd788'),
        ('sql__batches', 'd49c16a1c3bd1458796581580b77c5112f1af89e96972674baaa31128e83ddfd'),
        ('sql__boundary', 'c8e746d23224c3cb27f22d19b141c68eb96750bbe2a9a1d54972f56ebb2c5e9c'),
        ('sql__chunking', '6e65381e896ecf01adcf5da45908760e63335957e6903ab27a13353258892ea0'),
        ('sql__diff', '55df8632c090263e51b83f68d5be8cc50cd6e422617a94275591df784a82829d'),
        ('sql__editing', '2538315559ec6c4735acb6f7f3c3f0b86ad9a1d72a8be9903674f7a3d00ae3bd'),
        ('sql__embeddings', '62fe8025ead18b317060614079f9be0621201565e868b7bf3a1b4554d6e1c9ba'),
        ('sql__generation', '015dd2fbf275aff7e019a18747730d39a64978992245fbccb82de4e8baa53ce5'),
        ('sql__ingestion', '02097321f7dc13c0ed0a900d645d01976f428cde5dfc8aacd084992efcfd88df'),
        ('sql__merge', '294d9d889668ed03481da6a8106cd888eafd6b2645d1f80efcb44ddce0fb6759'),
        ('sql__operators', '4386840dadaa5c37e3f78c1ad903f6dc0cfcf2590e1313b6fd51927cbc93f329'),
        ('sql__packed_cache', 'b7e76bb8801bdcc0f23ebbb01099b402f8deea9713bd3d28798a9e2482ff7c40'),
        ('sql__samplers', 'e093b49321f3e3ed7dbc383f4aaeeeebabbb70d2eff4d5a07bdcf469d3dd3104'),
        ('sql__scoring', '0cfce859aa5c66b16eb9757977ba643e710baca10e41c11a83aa504cf75bc3cc'),
        ('sql__search', '1a5e5f51648d9a2aad1a2e74b8d7c3f1bb0dae9ffe2218c5fe09814c0c6b6a58'),
        ('sql__session', '2b0dd7b23c00537991d9da4a78fc8322950ad72b989db53c1c5e5b9e40da1ca8'),
        ('sql__similarity', 'f3fbf1db6af97c3b0ea6e63a611843e172eafe19a69a8785e9b2a950b4f37740'),
        ('sql__token_map', '59a8c7d804c447027eaa8b69900c7a44607296dd555d56080c40f54a0d69adf4'),
        ('sql__weight_rows', 'c9e47566c603967d8dd6a25843fba9157e531fa7a083bbdf058c910bdaf27d56'),
        ('store__embedding_columns', '82ef6b1105ac7148df41caadf2f6102c35c050f2b1f20c7b109c3004356d33fe'),
        ('store__manifest', 'e46b77426491a55e7691191a41d9e42c91ecde3a5d004be0e68c4e1acd9d4782'),
        ('store__merge_methods', '0849ff29cd9c71b32263b47d30584fc8fd0177a8e348fdbbc20e6e8382d86055'),
        ('store__models', 'fc25479abb22c900d23cf5f2b7826c0e50a5af593f8c49843d87261bda38446a'),
        ('store__tensor_writer', '228e9ae33c67e430ac84c747ab00b723f15225e454a3d0591aca2a12c5aa1ff3'),
        ('store__tokens', '69412cb611827ee3a25f87005fdd8cdb129bdbd047b1a0d0694a24df7285bb91'),
        ('weights__address_space', '4cba696f3b6a073e9f94d0b5bab49c271a5242b53f1f79f48c5ec146b5fc32c7'),
        ('weights__packed_files', 'dcb8e450d6551d0a84750b901245f7570cace68e62bbecba676fbf48c959fa04'),
        ('weights__packed_model', '21458925e5666d3c5739873fbbf0672044941253bade7c20d49b9e4e29f88f0f'),
        ('weights__shared', '0eed3dfcae6cae441aa20e464ccb9061ccd01de74b3735da87d5dce1b125626b'),
        ('weights__tensor_groups', '0ab4817ddad3e9264c51a3d1e818ede886f8b8aa8a378cc1bc2eb24479f48d16'),
        ('weights__tensors', 'dc25c8b4a1311e20d27a6c025ed55b553e5b5f5197d2f04210d977bb850e6e4c')
    ),

    deployed AS (
        SELECT p.proname::text AS module, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS digest
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_runtime'::regnamespace
            AND l.lanname = 'plpython3u' AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    )

    SELECT
        string_agg(deployed.digest || '  ' || module || E'\n', '' ORDER BY module COLLATE "C"),
        string_agg(module, ', ' ORDER BY module) FILTER (WHERE deployed.digest IS DISTINCT FROM expected.digest)
    INTO digests, wrong
    FROM expected FULL JOIN deployed USING (module);
    ASSERT wrong IS NULL, 'modules differ from this release: ' || wrong;
    ASSERT llm_runtime.release() = encode(sha256(convert_to(digests, 'UTF8')), 'hex'), 'another release is deployed';
    ASSERT has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may not call it';
END
$verify$;

ROLLBACK;
