// Asio's and Beast's own code, compiled once; that of TLS apart, for programs without it.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
