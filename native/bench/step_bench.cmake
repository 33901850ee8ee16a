atelier_bench(step_bench step_bench.cpp bench_model.cpp)
