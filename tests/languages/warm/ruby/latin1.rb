# -*- coding: iso-8859-1 -*-
p __ENCODING__, "ä".encode("UTF-8"), __LINE__
