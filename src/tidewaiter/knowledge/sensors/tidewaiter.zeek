# @about@

# @part conn@
@load policy/protocols/conn/community-id-logging

# @part files@
@load base/files/hash

event file_new(f: fa_file)
	{
	Files::add_analyzer(f, Files::ANALYZER_SHA256);
	Files::add_analyzer(f, Files::ANALYZER_SHA1);
	Files::add_analyzer(f, Files::ANALYZER_MD5);
	}

# @part http@

# @part ftp@
redef FTP::logged_commands += { "USER", "SIZE", "RNFR", "RNTO" };
redef FTP::default_capture_password = F;

# @part smb_files@
redef SMB::logged_file_actions += { SMB::FILE_READ, SMB::FILE_WRITE };

# @part smb_mapping@

# @part ssl@
@load policy/protocols/ssl/validate-certs

# @part dns@

# One JSON object a line instead of columns. Both are read; uncomment where another reader wants JSON:
#redef LogAscii::use_json = T;
