//! RTP without policy: relay sessions, latching, RTCP, port pool.
