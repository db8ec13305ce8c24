: f  neverclosed ;
