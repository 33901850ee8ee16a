atelier_bench(matrix_bench matrix_bench.cpp)
