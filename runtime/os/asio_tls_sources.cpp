// Asio's own code of TLS, compiled once.
#include <boost/asio/ssl/impl/src.hpp>
