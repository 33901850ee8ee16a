atelier_test(quant_test quant/quant_test.cpp)
