atelier_test(matrix_ops_test ops/matrix_ops_test.cpp)
atelier_test(block_ops_test ops/block_ops_test.cpp)
atelier_test(vae_ops_test ops/vae_ops_test.cpp)
